// Generated from the migrations by scripts/client-types.ts: change them there. For `createClient<RagDatabase>`.
// Postgres does not say which columns a function may leave empty, so each may be null here.
export type Json = string | number | boolean | null | { [key: string]: Json | undefined } | Json[];

export type RagDatabase = {
  public: {
    Tables: {
      rag_documents: {
        Row: {
          byte_size: number | null;
          changed_at: string | null;
          collection: string;
          content_sha256: string | null;
          created_at: string;
          external_id: string | null;
          id: string;
          ingested_at: string | null;
          kind: string;
          live_generation: number | null;
          media_type: string | null;
          metadata: Json;
          other_generation: number | null;
          other_model: string | null;
          other_source: number | null;
          replaced_by: string | null;
          source_uri: string | null;
          status: string;
          tags: string[];
          tenant_id: string;
          title: string | null;
          updated_at: string;
          user_id: string | null;
          version: string | null;
        };
        Insert: {
          byte_size?: number | null;
          changed_at?: string | null;
          collection?: string;
          content_sha256?: string | null;
          created_at?: string;
          external_id?: string | null;
          id?: string;
          ingested_at?: string | null;
          kind?: string;
          live_generation?: number | null;
          media_type?: string | null;
          metadata?: Json;
          other_generation?: number | null;
          other_model?: string | null;
          other_source?: number | null;
          replaced_by?: string | null;
          source_uri?: string | null;
          status?: string;
          tags?: string[];
          tenant_id?: string;
          title?: string | null;
          updated_at?: string;
          user_id?: string | null;
          version?: string | null;
        };
        Update: {
          byte_size?: number | null;
          changed_at?: string | null;
          collection?: string;
          content_sha256?: string | null;
          created_at?: string;
          external_id?: string | null;
          id?: string;
          ingested_at?: string | null;
          kind?: string;
          live_generation?: number | null;
          media_type?: string | null;
          metadata?: Json;
          other_generation?: number | null;
          other_model?: string | null;
          other_source?: number | null;
          replaced_by?: string | null;
          source_uri?: string | null;
          status?: string;
          tags?: string[];
          tenant_id?: string;
          title?: string | null;
          updated_at?: string;
          user_id?: string | null;
          version?: string | null;
        };
        Relationships: [];
      };
      rag_ingestion_queue: {
        Row: {
          attempts: number;
          completed_at: string | null;
          cost_usd: number;
          dedupe_key: string | null;
          document_id: string | null;
          error_code: string | null;
          error_detail: string | null;
          errors: Json;
          generation: number | null;
          id: string;
          kind: "document" | "reembed" | "relationships" | "sync";
          lease_expires_at: string | null;
          lease_token: number | null;
          max_attempts: number;
          position: number | null;
          priority: number;
          processed_chunks: number;
          processed_segments: number;
          rejected_chunks: number;
          returned_token: number | null;
          reused_chunks: number;
          run_at: string;
          stage: "fetching" | "parsing" | "embedding" | "analysing" | "completing" | null;
          started_at: string | null;
          status: "queued" | "processing" | "complete" | "failed" | "cancelled";
          submitted_at: string;
          sync: Json | null;
          tenant_id: string;
          tokens: number;
          total_chunks: number | null;
          total_segments: number | null;
          traceparent: string | null;
          updated_at: string;
          waits_for: "document" | "cap" | "pause" | null;
          worker_id: string | null;
        };
        Insert: {
          attempts?: number;
          completed_at?: string | null;
          cost_usd?: number;
          dedupe_key?: string | null;
          document_id?: string | null;
          error_code?: string | null;
          error_detail?: string | null;
          errors?: Json;
          generation?: number | null;
          id?: string;
          kind?: "document" | "reembed" | "relationships" | "sync";
          lease_expires_at?: string | null;
          lease_token?: number | null;
          max_attempts?: number;
          position?: number | null;
          priority?: number;
          processed_chunks?: number;
          processed_segments?: number;
          rejected_chunks?: number;
          returned_token?: number | null;
          reused_chunks?: number;
          run_at?: string;
          stage?: "fetching" | "parsing" | "embedding" | "analysing" | "completing" | null;
          started_at?: string | null;
          status?: "queued" | "processing" | "complete" | "failed" | "cancelled";
          submitted_at?: string;
          sync?: Json | null;
          tenant_id: string;
          tokens?: number;
          total_chunks?: number | null;
          total_segments?: number | null;
          traceparent?: string | null;
          updated_at?: string;
          waits_for?: "document" | "cap" | "pause" | null;
          worker_id?: string | null;
        };
        Update: {
          attempts?: number;
          completed_at?: string | null;
          cost_usd?: number;
          dedupe_key?: string | null;
          document_id?: string | null;
          error_code?: string | null;
          error_detail?: string | null;
          errors?: Json;
          generation?: number | null;
          id?: string;
          kind?: "document" | "reembed" | "relationships" | "sync";
          lease_expires_at?: string | null;
          lease_token?: number | null;
          max_attempts?: number;
          position?: number | null;
          priority?: number;
          processed_chunks?: number;
          processed_segments?: number;
          rejected_chunks?: number;
          returned_token?: number | null;
          reused_chunks?: number;
          run_at?: string;
          stage?: "fetching" | "parsing" | "embedding" | "analysing" | "completing" | null;
          started_at?: string | null;
          status?: "queued" | "processing" | "complete" | "failed" | "cancelled";
          submitted_at?: string;
          sync?: Json | null;
          tenant_id?: string;
          tokens?: number;
          total_chunks?: number | null;
          total_segments?: number | null;
          traceparent?: string | null;
          updated_at?: string;
          waits_for?: "document" | "cap" | "pause" | null;
          worker_id?: string | null;
        };
        Relationships: [];
      };
      rag_segments: {
        Row: {
          content: string;
          document_id: string;
          ended_ms: number | null;
          generation: number;
          page_number: number | null;
          section: string | null;
          seq: number;
          speaker: string | null;
          started_ms: number | null;
        };
        Insert: {
          content: string;
          document_id: string;
          ended_ms?: number | null;
          generation?: number;
          page_number?: number | null;
          section?: string | null;
          seq: number;
          speaker?: string | null;
          started_ms?: number | null;
        };
        Update: {
          content?: string;
          document_id?: string;
          ended_ms?: number | null;
          generation?: number;
          page_number?: number | null;
          section?: string | null;
          seq?: number;
          speaker?: string | null;
          started_ms?: number | null;
        };
        Relationships: [];
      };
      rag_tenants: {
        Row: {
          created_at: string;
          max_jobs: number | null;
          tenant_id: string;
          weight: number;
        };
        Insert: {
          created_at?: string;
          max_jobs?: number | null;
          tenant_id: string;
          weight?: number;
        };
        Update: {
          created_at?: string;
          max_jobs?: number | null;
          tenant_id?: string;
          weight?: number;
        };
        Relationships: [];
      };
    };
    Views: {
      rag_ingestion_log: {
        Row: {
          chunk_overlap: number | null;
          chunk_size: number | null;
          document_id: string | null;
          embedding_model: string | null;
          file_path: string | null;
          file_size: number | null;
          file_type: string | null;
          last_error: string | null;
          processed_at: string | null;
          processed_chunks: number | null;
          retry_count: number | null;
          started_at: string | null;
          status: string | null;
          tenant_id: string | null;
          title: string | null;
          total_chunks: number | null;
          user_id: string | null;
        };
        Relationships: [];
      };
      rag_live_analyses: {
        Row: {
          collection: string | null;
          created_at: string | null;
          document_id: string | null;
          entities: Json | null;
          error_code: string | null;
          failed_groups: number | null;
          groups: number | null;
          language: string | null;
          plan: string | null;
          summary: string | null;
          tenant_id: string | null;
          title: string | null;
          topics: string[] | null;
        };
        Relationships: [];
      };
      rag_live_chunks: {
        Row: {
          char_count: number | null;
          char_end: number | null;
          char_start: number | null;
          chunk_index: number | null;
          collection: string | null;
          content: string | null;
          content_sha256: string | null;
          created_at: string | null;
          document_id: string | null;
          document_kind: string | null;
          embed_prefix: string | null;
          embed_sha256: string | null;
          embedding: string | null;
          embedding_model: string | null;
          ended_ms: number | null;
          generation: number | null;
          metadata: Json | null;
          page_number: number | null;
          section: string | null;
          segment_from: number | null;
          segment_to: number | null;
          source_uri: string | null;
          speaker: string | null;
          started_ms: number | null;
          tags: string[] | null;
          tenant_id: string | null;
          title: string | null;
          token_count: number | null;
          version: string | null;
        };
        Relationships: [];
      };
      rag_waiting_jobs: {
        Row: {
          attempts: number | null;
          completed_at: string | null;
          cost_usd: number | null;
          dedupe_key: string | null;
          document_id: string | null;
          error_code: string | null;
          error_detail: string | null;
          errors: Json | null;
          generation: number | null;
          id: string | null;
          kind: "document" | "reembed" | "relationships" | "sync" | null;
          lease_expires_at: string | null;
          lease_token: number | null;
          max_attempts: number | null;
          position: number | null;
          priority: number | null;
          processed_chunks: number | null;
          processed_segments: number | null;
          reason: string | null;
          rejected_chunks: number | null;
          returned_token: number | null;
          reused_chunks: number | null;
          run_at: string | null;
          stage: "fetching" | "parsing" | "embedding" | "analysing" | "completing" | null;
          started_at: string | null;
          status: "queued" | "processing" | "complete" | "failed" | "cancelled" | null;
          submitted_at: string | null;
          sync: Json | null;
          tenant_id: string | null;
          tokens: number | null;
          total_chunks: number | null;
          total_segments: number | null;
          traceparent: string | null;
          updated_at: string | null;
          waits_for: "document" | "cap" | "pause" | null;
          worker_id: string | null;
        };
        Relationships: [];
      };
    };
    Functions: {
      rag_cancel_jobs: {
        Args: {
          p_filter: Json;
          p_dry_run?: boolean | null;
          p_limit?: number | null;
        };
        Returns: Json;
      };
      rag_delete_documents: {
        Args: {
          p_filter: Json;
          p_dry_run?: boolean | null;
          p_limit?: number | null;
          p_chunks?: number | null;
        };
        Returns: Json;
      };
      rag_describe_job: {
        Args: {
          p_job_id: string;
        };
        Returns: Json;
      };
      rag_enqueue: {
        Args: {
          p_request: Json;
        };
        Returns: Json;
      };
      rag_ensure_vector_index: {
        Args: {
          p_model: string;
          p_dimensions: number;
          p_memory_mb?: number | null;
        };
        Returns: number;
      };
      rag_highlights: {
        Args: {
          p_query: string;
          p_hits: Json;
        };
        Returns: {
          document_id: string | null;
          chunk_index: number | null;
          places: Json | null;
        }[];
      };
      rag_hybrid_search: {
        Args: {
          p_query: string;
          p_query_embedding: string;
          p_model: string;
          p_limit?: number | null;
          p_weight?: number | null;
          p_filter?: Json | null;
        };
        Returns: {
          score: number | null;
          document_id: string | null;
          title: string | null;
          source_uri: string | null;
          chunk_index: number | null;
          page_number: number | null;
          section: string | null;
          speaker: string | null;
          started_ms: number | null;
          ended_ms: number | null;
          content: string | null;
          vector_rank: number | null;
          vector_score: number | null;
          text_rank: number | null;
          text_score: number | null;
          matched: string[] | null;
        }[];
      };
      rag_list_jobs: {
        Args: {
          p_filter?: Json | null;
          p_limit?: number | null;
        };
        Returns: {
          id: string | null;
          kind: string | null;
          document_id: string | null;
          title: string | null;
          source_uri: string | null;
          tenant_id: string | null;
          status: string | null;
          stage: string | null;
          priority: number | null;
          attempts: number | null;
          max_attempts: number | null;
          run_at: string | null;
          worker_id: string | null;
          total_segments: number | null;
          processed_segments: number | null;
          total_chunks: number | null;
          processed_chunks: number | null;
          reused_chunks: number | null;
          rejected_chunks: number | null;
          tokens: number | null;
          cost_usd: number | null;
          error_code: string | null;
          error_detail: string | null;
          submitted_at: string | null;
          started_at: string | null;
          updated_at: string | null;
          completed_at: string | null;
          waits_for: string | null;
        }[];
      };
      rag_neighbours: {
        Args: {
          p_hits: Json;
          p_before?: number | null;
          p_after?: number | null;
        };
        Returns: {
          document_id: string | null;
          chunk_index: number | null;
          is_hit: boolean | null;
          page_number: number | null;
          section: string | null;
          speaker: string | null;
          started_ms: number | null;
          ended_ms: number | null;
          content: string | null;
        }[];
      };
      rag_pause_jobs: {
        Args: {
          p_scope: string;
          p_name?: string | null;
          p_reason?: string | null;
        };
        Returns: Json;
      };
      rag_read_activity: {
        Args: {
          p_job_id: string;
          p_after?: string | null;
          p_limit?: number | null;
        };
        Returns: Json;
      };
      rag_read_analysis: {
        Args: {
          p_document_id: string;
        };
        Returns: Json;
      };
      rag_read_segment_analyses: {
        Args: {
          p_document_id: string;
          p_after?: number | null;
          p_limit?: number | null;
        };
        Returns: {
          segment_from: number | null;
          segment_to: number | null;
          page_number: number | null;
          started_ms: number | null;
          ended_ms: number | null;
          summary: string | null;
          topics: string[] | null;
          entities: Json | null;
          key_points: string[] | null;
          questions: string[] | null;
          conversation: Json | null;
          error_code: string | null;
        }[];
      };
      rag_related: {
        Args: {
          p_document_id: string;
          p_types?: string[] | null;
          p_limit?: number | null;
          p_unresolved?: boolean | null;
        };
        Returns: {
          relationship_type: string | null;
          direction: string | null;
          strength: number | null;
          document_id: string | null;
          title: string | null;
          collection: string | null;
          external_id: string | null;
          source_uri: string | null;
          reference: string | null;
          metadata: Json | null;
        }[];
      };
      rag_requeue_jobs: {
        Args: {
          p_filter: Json;
          p_dry_run?: boolean | null;
          p_limit?: number | null;
        };
        Returns: Json;
      };
      rag_resume_jobs: {
        Args: {
          p_scope: string;
          p_name?: string | null;
        };
        Returns: Json;
      };
      rag_search_chunks: {
        Args: {
          p_query_embedding: string;
          p_model: string;
          p_limit?: number | null;
          p_filter?: Json | null;
        };
        Returns: {
          score: number | null;
          document_id: string | null;
          title: string | null;
          source_uri: string | null;
          chunk_index: number | null;
          page_number: number | null;
          section: string | null;
          speaker: string | null;
          started_ms: number | null;
          ended_ms: number | null;
          content: string | null;
        }[];
      };
      rag_text_search: {
        Args: {
          p_query: string;
          p_limit?: number | null;
          p_filter?: Json | null;
          p_model?: string | null;
        };
        Returns: {
          score: number | null;
          document_id: string | null;
          title: string | null;
          source_uri: string | null;
          chunk_index: number | null;
          page_number: number | null;
          section: string | null;
          speaker: string | null;
          started_ms: number | null;
          ended_ms: number | null;
          content: string | null;
          matched: string[] | null;
        }[];
      };
      rag_upsert_entity: {
        Args: {
          p_request: Json;
        };
        Returns: Json;
      };
      rag_watch_table: {
        Args: {
          p_table: string;
          p_id_column: string;
          p_path_column: string;
          p_options?: Json | null;
        };
        Returns: Json;
      };
    };
  };
};
